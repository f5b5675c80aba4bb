"""Results out to other programs' formats, and results of other programs in.

One module per format: `csv_file`, `parquet_file`, `optuna_study`, `kernel_tuner`. What they read is
a `dsice.exchange.source.Source`, rows of named values; `dsice.exchange.match` makes of it results
of a study. What they write is a study, whose values are named by `dsice.exchange.columns`.
"""
