//! Every socket
