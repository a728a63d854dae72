"""The origin alone, for minutes: many streams at once (`republish`), and streams under faults (`run`)."""
