//! Hash of a Corefile's tokens, by which `reload` detects an edit.

use sha2::{Digest, Sha512};

use crate::token::Token;
use crate::tree::{Line, ServerBlock};

/// SHA-512 over all tokens with their files and lines, in hexadecimal.
pub(crate) fn hash(blocks: &[ServerBlock]) -> String {
    let mut hash = Sha512::new();
    for block in blocks {
        hash.update(b"block");
        block.keys.iter().for_each(|key| add_token(&mut hash, key));
        for directive in &block.directives {
            hash.update(b"directive");
            add_line(&mut hash, &directive.line);
            for option in &directive.options {
                hash.update(b"option");
                add_line(&mut hash, option);
            }
        }
    }
    hash.finalize().iter().map(|octet| format!("{octet:02x}")).collect()
}

fn add_line(hash: &mut Sha512, line: &Line) {
    add_token(hash, &line.name);
    line.args.iter().for_each(|arg| add_token(hash, arg));
}

/// Lengths are hashed as well, so that different token lists cannot hash alike.
fn add_token(hash: &mut Sha512, token: &Token) {
    for text in [token.source.name.as_bytes(), token.line.to_string().as_bytes(), token.text.as_bytes()] {
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    }
}
