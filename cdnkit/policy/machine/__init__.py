"""The one stateful room: `EdgeMachine` is told what happened and when, and says what to do next."""
