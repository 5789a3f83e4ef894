//! `any`: an HINFO record to queries of type ANY.

use resolver::policy::FrontPlugin;

use super::assertions::assert_all_rejected;
use super::load::load_lines;

#[test]
fn any_has_no_arguments() {
    let front = |lines: &str| load_lines(lines).unwrap().blocks.remove(0).front;
    assert_eq!(front("errors"), []);
    assert_eq!(front("any"), [FrontPlugin::Any]);
    assert_eq!(front("any\nany"), [FrontPlugin::Any]);
    assert_all_rejected(
        "any",
        &[("any x", "unexpected line ending after 'x'"), ("any {\n x\n}", "unknown property 'x'")],
    );
}
