"""Playing a study in virtual time, before anything is run.

The real search in its real order, on worlds that tell what a trial would give and how long it would
take. Pure but for `source`, which reads files, and `campaign`, which spreads plays over processes.

- `world`: what a world is; worlds of known durations only, and of a complete table.
- `path`: a surface fitted to results, and functions drawn from what it leaves open.
- `fitted`: worlds drawn from a history.
- `source`: from files and options to worlds.
- `play`: one play of one study with so many slots.
- `campaign`: all slots, several repetitions.
- `answer`: what the plays say, in numbers and sentences; `show` prints it.
"""
