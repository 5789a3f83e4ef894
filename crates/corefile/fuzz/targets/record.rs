//! A record template is rejected with a position in its text, or its evaluation ends within the limits;
//! a record read from what it wrote can be sent. After a NUL follow the groups of the match.
#![no_main]

use libfuzzer_sys::fuzz_target;
use resolver::policy::template::{QuestionData, RecordTemplate, TemplateData};
use wire::Response;
use wire::header::{Class, Flags, Rcode, RecordType};
use wire::zone_record::{self, Sections, ZoneRecord};

const QUESTION: &[u8] = b"\x03Www\x07example\x00\x00\x01\x00\x01";

fn data(groups: &str) -> TemplateData<'static> {
    let names = [None, Some("a"), Some("b"), None];
    TemplateData {
        zone: "example.".to_owned(),
        name: "www.example.".to_owned(),
        pattern: "(?P<a>.*)-(?P<b>.*)-(.*)",
        groups: names.into_iter().zip(groups.split('-').map(str::to_owned)).collect(),
        class: Class::IN,
        qtype: RecordType::A,
        remote: "2001:db8::7".parse().unwrap(),
        question: QuestionData { name: "Www.example.".to_owned(), qtype: RecordType::A, class: Class::IN },
        id: 4711,
        flags: Flags::RD,
    }
}

fuzz_target!(|text: &str| {
    let (template, groups) = text.split_once('\0').unwrap_or((text, "10-1-2-3"));
    let parsed = match RecordTemplate::parse(template) {
        Ok(parsed) => parsed,
        Err(error) => {
            assert!((1..=template.chars().count() + 1).contains(&error.column), "{error}");
            return;
        }
    };
    let Ok(line) = parsed.evaluate(&data(groups)) else { return };
    assert!(line.len() <= 8192);
    let Some(record) = ZoneRecord::parse(&line) else { return };
    let answers = [record];
    let sections = Sections { answers: &answers, ..Sections::default() };
    if let Some(response) = zone_record::response(QUESTION, Rcode::NOERROR, sections) {
        assert!(response.matches_question(QUESTION));
        assert!(Response::parse(&response.packet).is_ok(), "{line:?} cannot be parsed");
    }
});
