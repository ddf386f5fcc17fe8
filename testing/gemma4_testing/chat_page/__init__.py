"""What the tests of the chat page share: what the model says, and what a user does."""
