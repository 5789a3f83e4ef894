//! [`Corefile`]: a parsed Corefile, and its settings.

use std::path::PathBuf;

use crate::environment::Environment;
use crate::error::ConfigError;
use crate::error_list::{ConfigErrors, ErrorList};
use crate::host::Host;
use crate::import::TokenStream;
use crate::known_files::KnownFiles;
use crate::options::Options;
use crate::settings::Settings;
use crate::settings_builder::SettingsBuilder;
use crate::source::ConfigSources;
use crate::tree::ServerBlock;
use crate::{parser, source, token_hash};

/// Names a file of CA certificates in place of the system's, as for Go's programs.
const CA_FILE_VARIABLE: &str = "SSL_CERT_FILE";

/// A parsed Corefile whose directives are not validated yet.
#[derive(Debug)]
pub struct Corefile {
    source: String,
    /// Of the file, and of server blocks in addition to it.
    text: String,
    hash: String,
    blocks: Vec<ServerBlock>,
    warnings: Vec<String>,
    /// The value of `SSL_CERT_FILE`.
    ca_file: Option<PathBuf>,
}

impl Corefile {
    /// Finds the Corefile by flags and environment, and parses it.
    ///
    /// # Errors
    /// It cannot be read, or its syntax is wrong. Then the errors of its directives are among them,
    /// as in [`Corefile::build_settings`].
    pub fn parse(options: &Options, env: &Environment, host: &dyn Host) -> Result<Self, ConfigErrors> {
        let (mut warnings, mut errors) = (Vec::new(), ErrorList::default());
        let ConfigSources { corefile, stub_domains } = source::find(options, env, host, &mut warnings)?;
        let name = corefile.name.clone();
        let (mut blocks, mut taken) = (Vec::new(), 0);
        let mut text = String::new();
        for source in [Some(corefile), stub_domains].into_iter().flatten() {
            text += &source.text;
            let reports = (&mut warnings, &mut errors);
            let mut tokens = TokenStream::new(source, env, host, reports).numbered_from(taken);
            blocks.extend(parser::parse(&mut tokens));
            taken = tokens.taken();
        }
        if blocks.is_empty() && errors.is_empty() {
            return Err(ConfigError::without_location(format!("{name} has no server block")).into());
        }
        let hash = token_hash::hash(&blocks);
        let ca_file = env.lookup(CA_FILE_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
        let corefile = Self { source: name, text, hash, blocks, warnings, ca_file };
        if !errors.is_empty() {
            let builder = SettingsBuilder::new(options, host, KnownFiles::default());
            corefile.build(builder.with_ca_file(corefile.ca_file.as_deref()).with_errors(errors))?;
        }
        Ok(corefile)
    }

    /// As [`Settings::hash`]: with an equal hash, the settings need not be built again.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The text that was parsed: a template is filled in, and stub domains of the ConfigMap of kube-dns
    /// follow it. Imported files are not in it, and variables of the environment are not replaced.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Validates all directives, and reads the files they name.
    ///
    /// # Errors
    /// All errors.
    pub fn build_settings(&self, options: &Options, host: &dyn Host) -> Result<Settings, ConfigErrors> {
        self.build_settings_with(KnownFiles::default(), options, host)
    }

    /// As [`Corefile::build_settings`]; files in `known` are not read.
    ///
    /// # Errors
    /// As [`Corefile::build_settings`].
    pub fn build_settings_with(
        &self,
        known: KnownFiles,
        options: &Options,
        host: &dyn Host,
    ) -> Result<Settings, ConfigErrors> {
        let builder = SettingsBuilder::new(options, host, known).with_ca_file(self.ca_file.as_deref());
        self.build(builder.with_warnings(self.warnings.clone()))
    }

    fn build(&self, mut builder: SettingsBuilder<'_>) -> Result<Settings, ConfigErrors> {
        for block in &self.blocks {
            builder.add_block(block);
        }
        builder.finish(self.source.clone(), self.hash.clone())
    }
}

/// Parses and validates the configuration.
///
/// # Errors
/// All errors, each with file, line and reason.
pub fn load(options: &Options, env: &Environment, host: &dyn Host) -> Result<Settings, ConfigErrors> {
    Corefile::parse(options, env, host)?.build_settings(options, host)
}
