//! Checks of the model itself, against what can be computed by hand.
