"""The inputs and outputs of the models, declared once.

From these come the ``config.pbtxt`` files, what is read and checked of a request, the options of
the SDK, fields of the gateway, and tables of the documentation. ``make generate`` writes what is
made of them into files. Standard library only: the SDK imports it.
"""
