//! Answers written by record templates (the `template` directive).

use wire::header::{Class, Rcode, RecordType};
use wire::name::{Name, PresentationFormat};
use wire::zone_record::{self, Sections, ZoneRecord};

use super::LocalResult;
use crate::action::Cause;
use crate::counters::{COUNTED_TYPES, Plugin, TemplateEvent, TemplateEventKind};
use crate::policy::template::{Groups, QuestionData, RecordTemplate, Template, TemplateData};
use crate::request::RoutedQuery;

/// A failure of a record template.
struct Failure {
    section: &'static str,
    reason: &'static str,
    event: TemplateEventKind,
}

/// What a template responds to a query; `None` leaves it to the next directive.
pub(super) fn answer(template: &Template, routed: &RoutedQuery<'_>) -> Option<LocalResult> {
    let query = routed.query;
    let name = query.name.as_wire();
    let zone = template.zone(name, query.qclass, query.qtype)?;
    let text = PresentationFormat(name).to_string();
    let Some(matched) = template.matching(&text) else {
        let falls_through = template.fallthrough.iter().any(|zone| zone.covers(name));
        return (!falls_through).then_some(LocalResult::Error(Rcode::SERVFAIL, None));
    };
    let data = template_data(template, zone, routed, matched);
    let count = |kind| routed.route.block.counters.templates.count(event(&data, kind));
    count(TemplateEventKind::Match);
    if template.rcode == Rcode::SERVFAIL {
        return Some(LocalResult::Error(Rcode::SERVFAIL, None));
    }
    let failed =
        |section, reason| LocalResult::Error(Rcode::SERVFAIL, Some(Cause::Template(section, reason)));
    let sections = evaluate(&template.answers, "answer", &data).and_then(|answers| {
        let additionals = evaluate(&template.additionals, "additional", &data)?;
        Ok((answers, additionals, evaluate(&template.authorities, "authority", &data)?))
    });
    let (answers, additionals, authorities) = match sections {
        Ok(sections) => sections,
        Err(Failure { section, reason, event }) => {
            count(event);
            return Some(failed(section, reason));
        }
    };
    let sections = Sections { answers: &answers, authorities: &authorities, additionals: &additionals };
    Some(match zone_record::response(query.header.question, template.rcode, sections) {
        Some(response) => LocalResult::Response(response, Plugin::Template, template.error),
        None => failed("response", "the records do not fit into a message"),
    })
}

fn template_data<'t>(
    template: &Template,
    zone: &Name,
    routed: &RoutedQuery<'_>,
    (pattern, groups): (&'t str, Groups<'t>),
) -> TemplateData<'t> {
    let (query, requester) = (routed.query, &routed.requester);
    TemplateData {
        zone: zone.to_string(),
        name: PresentationFormat(query.name.as_wire()).to_string(),
        pattern,
        groups,
        class: if query.qclass == Class::ANY { template.class } else { query.qclass },
        qtype: if query.qtype == RecordType::ANY { template.qtype } else { query.qtype },
        remote: requester.client.peer.ip().to_canonical(),
        question: QuestionData {
            name: PresentationFormat(query.header.question).to_string(),
            qtype: query.qtype,
            class: query.qclass,
        },
        id: query.header.id,
        flags: query.header.flags,
    }
}

/// The records of a section; a template may evaluate to nothing.
fn evaluate(
    templates: &[RecordTemplate],
    section: &'static str,
    data: &TemplateData<'_>,
) -> Result<Vec<ZoneRecord>, Failure> {
    let mut records = Vec::with_capacity(templates.len());
    for template in templates {
        let source = || template.source().to_owned();
        let line = template.evaluate(data).map_err(|error| {
            let event = TemplateEventKind::TemplateFailure(section, source());
            Failure { section, reason: error.0, event }
        })?;
        if line.trim().is_empty() {
            continue;
        }
        records.push(ZoneRecord::parse(&line).ok_or_else(|| {
            let event = TemplateEventKind::RecordFailure(section, source());
            Failure { section, reason: "the text is not a resource record", event }
        })?);
    }
    Ok(records)
}

fn event(data: &TemplateData<'_>, kind: TemplateEventKind) -> TemplateEvent {
    let other = || "other".to_owned();
    let is_counted = COUNTED_TYPES.contains(&data.qtype) || data.qtype == RecordType::ANY;
    let is_data_class = matches!(data.class, Class(1..=4) | Class::ANY);
    TemplateEvent {
        zone: data.zone.clone(),
        class: if is_data_class { data.class_name() } else { other() },
        qtype: if is_counted { data.qtype.to_string() } else { other() },
        kind,
    }
}
