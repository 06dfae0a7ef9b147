//! No code: selected next to another package, it makes every build resolve the same features
