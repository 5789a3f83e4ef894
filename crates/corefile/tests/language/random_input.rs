//! Random Corefiles never panic: each loads or is rejected with a located error.

use proptest::prelude::*;

use super::load::{COREFILE, load};

const CORPUS: [&str; 4] = [
    include_str!("../corefiles/kubespray.Corefile"),
    include_str!("../corefiles/kubespray-external.Corefile"),
    include_str!("../corefiles/elastisys.Corefile"),
    include_str!("../corefiles/gardener.Corefile"),
];

/// Words of the language in random order.
fn words() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("{"),
        Just("}"),
        Just("\n"),
        Just("\n"),
        Just(" "),
        Just(" "),
        Just("import"),
        Just("(s)"),
        Just("s"),
        Just("cache"),
        Just("forward"),
        Just("log"),
        Just("errors"),
        Just("bind"),
        Just("reload"),
        Just("health"),
        Just("consolidate"),
        Just("success"),
        Just("prefetch"),
        Just("serve_stale"),
        Just("verify"),
        Just("10%"),
        Just("health_check"),
        Just("domain"),
        Just("failover"),
        Just("1s"),
        Just("-5"),
        Just("::1"),
        Just("eth0"),
        Just("."),
        Just(","),
        Just("a.test"),
        Just("10.0.0.0/9"),
        Just("::/1"),
        Just("{$A}"),
        Just("\""),
        Just("\\"),
        Just("#"),
        Just("*"),
    ];
    proptest::collection::vec(word, 0..60).prop_map(|words| words.concat())
}

/// A rejected Corefile has an error with a location.
fn loads_or_has_a_located_error(text: &str) -> Result<(), TestCaseError> {
    if let Err(error) = load(text) {
        let shown = error.to_string();
        let first = shown.lines().next().unwrap_or_default();
        prop_assert!(first.contains(COREFILE), "{shown}");
        prop_assert!(
            first.contains(" - Error during parsing: ")
                || first.contains(" - Syntax error: ")
                || first.ends_with(" has no server block"),
            "{shown}"
        );
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_text_loads_or_is_rejected(text in any::<String>()) {
        loads_or_has_a_located_error(&text)?;
    }

    #[test]
    fn any_order_of_words_loads_or_is_rejected(text in words()) {
        loads_or_has_a_located_error(&text)?;
    }

    #[test]
    fn corefile_with_a_mutation_loads_or_is_rejected(
        which in 0..CORPUS.len(),
        at in any::<prop::sample::Index>(),
        cut in 0..12_usize,
        put in words(),
    ) {
        let text: Vec<char> = CORPUS[which].chars().collect();
        let at = at.index(text.len());
        let (before, after) = text.split_at(at);
        let mutated: String =
            before.iter().copied().chain(put.chars()).chain(after.iter().copied().skip(cut)).collect();
        loads_or_has_a_located_error(&mutated)?;
    }
}
