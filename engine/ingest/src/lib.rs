//! The one write path
