//! Labels of `coredns_build_info`.

/// What the binary was built from.
#[derive(Clone, Debug, Default)]
pub struct BuildInfo {
    /// Version of this project.
    pub version: String,
    /// Commit; empty when unknown.
    pub revision: String,
    /// Compiler, as in `rustc 1.95.0`.
    pub compiler: String,
}
