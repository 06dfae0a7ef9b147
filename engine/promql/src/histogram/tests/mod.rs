//! What histograms must do.
