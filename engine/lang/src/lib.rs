//! Query languages: text, tokens, positions
