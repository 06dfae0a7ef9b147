//! The sandbox: plugins and their budgets
