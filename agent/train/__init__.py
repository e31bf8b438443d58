"""Learning from watching and trying: exploration, data, and the stages of training."""
