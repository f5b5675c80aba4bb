"""Import and export: results of other programs in, results in other programs' formats out.

One module per format: `csv_file`, `json_file`, `parquet_file`, `optuna_study`, `kernel_tuner`,
`other_study`. They read into a `dsice.exchange.source.Source`, rows of named values;
`dsice.exchange.legend` maps these names to a study, and `dsice.exchange.match` converts rows to
results. They write a study with the column names of `dsice.exchange.columns`.
"""
