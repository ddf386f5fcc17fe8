"""Which tests `pytest --unit` leaves out (`make test-unit`): those that need a server or torch, and
those that take seconds each."""

from __future__ import annotations

__all__ = ["NOT_UNIT"]

NOT_UNIT = {
    "bench/test_fp8_tensor_cores.py": "needs torch",
    "build": "builds engines and measures them; the reference is torch's",
    "cli/test_chat_keyboard.py": "talks to a server in a terminal",
    "cli/test_chat_terminal.py": "talks to a server in a terminal",
    "cli/test_odd_conditions.py": "starts servers",
    "clients/gateway/test_gateway_bombs.py": "starts a gateway; bodies that take long to read",
    "clients/gateway/test_gateway_discovery.py::test_a_gateway_that_follows_a_name": "starts a server",
    "clients/gateway/test_gateway_discovery.py::test_pods_that_change_under_a_gateway": "starts servers",
    "clients/gateway/test_gateway_keep_alive.py": "waits for seconds of silence",
    "clients/gateway/test_gateway_log_faults.py": "starts gateways",
    "clients/gateway/test_gateway_lost_backend.py": "starts gateways and back ends; waits for health",
    "clients/gateway/test_gateway_mutations.py": "starts a gateway; hundreds of requests",
    "clients/gateway/test_gateway_slow_senders.py": "starts gateways; waits for deadlines",
    "clients/gateway/test_gateway_tls.py::test_200_half_open_connections": "measures others' wait",
    "clients/test_cache.py::test_many_processes": "starts many processes",
    "dashboards": "is no test of pytest",
    "demo/test_demo_checkpoint.py": "needs torch",
    "demo/test_demo_tokenizer.py::test_rebuilding_gives_the_same_file": "trains the tokenizer",
    "demo/test_demo_training.py": "needs torch",
    "e2e": "starts servers",
    "fresh": "is no test of pytest",
    "load/test_page.py::test_no_set_of_requests_gives_an_absurd_figure": "random runs",
    "plan/test_plan_fit_command.py": "ranks all GPUs again and again",
    "plan/test_plan_gpu_memory.py": "random sizes",
    "plan/test_plan_real_files.py": "builds engines",
    "plan/test_plan_speed.py": "fits again and again",
    "runtime/engines": "loads engines",
    "runtime/guides/test_guide_bounds.py::test_a_bomb_is_refused_by_name": "seconds of CPU time each",
    "runtime/guides/test_guide_table.py::test_our_patterns_are_within_the_formats": "random texts",
    "runtime/guides/test_turn_grammar.py::test_random_answers_are_calls_or_the_form": "random answers",
    "runtime/input/test_any_chat.py": "hundreds of random chats",
    "runtime/input/test_prepare.py::test_user_text_is_never_a_control_token": "random texts",
    "runtime/input/test_template_swap.py": "starts a process for each check of a template",
    "runtime/output/test_stream_pieces.py::test_pieces_are_the_whole": "random texts",
    "runtime/output/test_stream_pieces.py::test_stop_strings_end_the_text_and_leak_only_if_asked": "random texts",
    "runtime/output/test_stream_pieces.py::test_text_equals_the_tokenizers_own_decode": "random texts",
    "runtime/output/test_tool_calls.py::test_any_text_is_valid_json_or_refused": "random texts",
    "runtime/output/test_tool_calls.py::test_a_megabyte_of_garbage_takes_linear_time": "a second each",
    "runtime/preparation/test_process.py": "starts processes; waits for their limits",
    "runtime/processes/test_parent.py": "waits for processes within deadlines",
    "serve/test_engine_folder_fuzz.py": "reads hundreds of damaged folders",
    "serve/test_start_crash.py": "starts processes",
}
"""Paths under tests/, some with the name of a test, and why."""
