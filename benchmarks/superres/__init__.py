"""What a step of training costs, beside the published program's: see `step`."""
