//! tidy
fn main(){}
