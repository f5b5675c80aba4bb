"""Results out to other programs' formats, and results of other programs in.

One module per format: `csv_file`, `json_file`, `parquet_file`, `optuna_study`, `kernel_tuner`,
`other_study`. What they read is a `dsice.exchange.source.Source`, rows of named values;
`dsice.exchange.legend` says what the names mean for a study, and `dsice.exchange.match` makes
results of the rows. What they write is a study, whose values are named by `dsice.exchange.columns`.
"""
