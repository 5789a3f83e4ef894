//! No text ends the process: what cannot be obeyed is refused.

use proptest::prelude::*;

use super::fake_host::{COREFILE, load};

const CORPUS: [&str; 4] = [
    include_str!("kubespray.Corefile"),
    include_str!("kubespray-external.Corefile"),
    include_str!("elastisys.Corefile"),
    include_str!("gardener.Corefile"),
];

/// Words that mean something, in no order.
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

/// What a refusal looks like to whoever must act on it.
fn is_clear(text: &str) -> Result<(), TestCaseError> {
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
    fn any_text_loads_or_is_refused(text in any::<String>()) {
        is_clear(&text)?;
    }

    #[test]
    fn any_order_of_words_loads_or_is_refused(text in words()) {
        is_clear(&text)?;
    }

    #[test]
    fn a_corefile_with_a_slip_loads_or_is_refused(
        which in 0..CORPUS.len(),
        at in any::<prop::sample::Index>(),
        cut in 0..12_usize,
        put in words(),
    ) {
        let text: Vec<char> = CORPUS[which].chars().collect();
        let at = at.index(text.len());
        let (before, behind) = text.split_at(at);
        let slipped: String =
            before.iter().copied().chain(put.chars()).chain(behind.iter().copied().skip(cut)).collect();
        is_clear(&slipped)?;
    }
}
