"""Looking at a study that another process drives: in a terminal, or in a browser.

Nothing here writes into a study's directory, nor holds its lock. `dsice.live.follow` reads a study
anew when its journal has grown; `watch` shows it in a terminal; `news` and `server` serve the
report's page, kept up to date.
"""
