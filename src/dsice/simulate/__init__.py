"""Playing a study in virtual time, before anything is run.

Runs the real search on *worlds*, which say what a trial would measure and how long it would take.
Pure except for `source`, which reads files, and `campaign`, which distributes plays over processes.

- `world`: what a world is; worlds of known durations only, and of a complete table.
- `path`: a Gaussian process fitted to results, and functions drawn from its posterior.
- `fitted`: worlds drawn from a history.
- `development`: what trials report on their way, learned from those of a history.
- `source`: from files and options to worlds.
- `play`: one play of one study with so many slots.
- `campaign`: all slots, several repetitions.
- `answer`: the results of all plays, in numbers and sentences; `show` prints it.
"""
