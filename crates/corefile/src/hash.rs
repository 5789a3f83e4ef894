//! The hash by which an edit is noticed.

use sha2::{Digest, Sha512};

use crate::lexer::Token;
use crate::tree::{ServerBlock, Words};

/// SHA-512 over all words with their files and lines, in hexadecimal.
pub(super) fn of(blocks: &[ServerBlock]) -> String {
    let mut hash = Sha512::new();
    for block in blocks {
        hash.update(b"block");
        block.keys.iter().for_each(|key| token(&mut hash, key));
        for directive in &block.directives {
            hash.update(b"directive");
            words(&mut hash, &directive.head);
            for option in &directive.options {
                hash.update(b"option");
                words(&mut hash, option);
            }
        }
    }
    hash.finalize().iter().map(|octet| format!("{octet:02x}")).collect()
}

fn words(hash: &mut Sha512, words: &Words) {
    token(hash, &words.name);
    words.args.iter().for_each(|arg| token(hash, arg));
}

/// Lengths go in as well, so that no two lists of words look alike.
fn token(hash: &mut Sha512, token: &Token) {
    for text in [token.source.name.as_bytes(), token.line.to_string().as_bytes(), token.text.as_bytes()] {
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    }
}
