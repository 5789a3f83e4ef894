pub(crate) mod fixture;
mod load;
mod write;
mod writer;
