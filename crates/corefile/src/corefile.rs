//! [`Corefile`]: a parsed Corefile, and its settings.

use crate::environment::Environment;
use crate::error::ConfigError;
use crate::host::Host;
use crate::import::TokenStream;
use crate::options::Options;
use crate::settings::Settings;
use crate::settings_builder::SettingsBuilder;
use crate::source::ConfigSources;
use crate::tree::ServerBlock;
use crate::upstream_files::UpstreamFiles;
use crate::{parser, source, token_hash};

/// A parsed Corefile whose directives are not validated yet.
#[derive(Debug)]
pub struct Corefile {
    source: String,
    hash: String,
    blocks: Vec<ServerBlock>,
    warnings: Vec<String>,
}

impl Corefile {
    /// Finds the Corefile by flags and environment, and parses it.
    ///
    /// # Errors
    /// It cannot be read, or its syntax is wrong.
    pub fn parse(options: &Options, env: &Environment, host: &dyn Host) -> Result<Self, ConfigError> {
        let mut warnings = Vec::new();
        let ConfigSources { corefile, stub_domains } = source::find(options, env, host, &mut warnings)?;
        let name = corefile.name.clone();
        let mut blocks = parser::parse(TokenStream::new(corefile, env, host, &mut warnings))?;
        if let Some(source) = stub_domains {
            blocks.extend(parser::parse(TokenStream::new(source, env, host, &mut warnings))?);
        }
        if blocks.is_empty() {
            return Err(ConfigError::without_location(format!("{name} has no server block")));
        }
        Ok(Self { source: name, hash: token_hash::hash(&blocks), blocks, warnings })
    }

    /// As [`Settings::hash`]: with an equal hash, the settings need not be built again.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Validates all directives, and reads the upstream files they name.
    ///
    /// # Errors
    /// The first error.
    pub fn build_settings(&self, options: &Options, host: &dyn Host) -> Result<Settings, ConfigError> {
        self.build_settings_with(UpstreamFiles::new(), options, host)
    }

    /// As [`Corefile::build_settings`]; upstream files in `known` are not read.
    ///
    /// # Errors
    /// As [`Corefile::build_settings`].
    pub fn build_settings_with(
        &self,
        known: UpstreamFiles,
        options: &Options,
        host: &dyn Host,
    ) -> Result<Settings, ConfigError> {
        let mut builder = SettingsBuilder::new(options, host, known, self.warnings.clone());
        for block in &self.blocks {
            builder.add_block(block)?;
        }
        Ok(builder.finish(self.source.clone(), self.hash.clone()))
    }
}

/// Parses and validates the configuration.
///
/// # Errors
/// The first error, with file, line and reason.
pub fn load(options: &Options, env: &Environment, host: &dyn Host) -> Result<Settings, ConfigError> {
    Corefile::parse(options, env, host)?.build_settings(options, host)
}
