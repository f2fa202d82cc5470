"""What an answer states: its number, choice, text, list or expression, and the words it has."""
