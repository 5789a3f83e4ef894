//! nodelocaldns
fn main() {}
