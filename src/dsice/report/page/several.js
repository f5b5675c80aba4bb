// A page about several studies shows no single trial.

function choose() {}
