//! Steps of [`LabelScript`]: the label of a query to what the server sends.

use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use resolver::action::Transport;

use super::hostile;
use super::label_script::{LabelScript, without_records};
use super::reply::encode;
use super::script::{Script, ScriptStep};

/// Pause after each octet of `drip`.
const DRIP_PAUSE: Duration = Duration::from_millis(5);

impl Script for LabelScript {
    fn steps(&self, query: &Message, transport: Transport) -> Vec<ScriptStep> {
        let question = query.queries.first();
        let first = question.and_then(|question| question.name.iter().next()).unwrap_or_default();
        let label = String::from_utf8_lossy(first).to_ascii_lowercase();
        let mut words = label.split('-');
        let reaction = words.next().unwrap_or_default();
        let send = |reply: Message| vec![ScriptStep::Send(encode(&reply, transport))];
        let ok = || self.addresses(query, 1);
        match reaction {
            "ok" => send(ok()),
            "big" => {
                let count = words.next().and_then(|count| count.parse().ok()).unwrap_or(1);
                send(self.addresses(query, count))
            }
            "tc" if transport == Transport::Tcp => send(ok()),
            "tc" => send(ok().truncate()),
            "nodata" => send(self.negative(query, ResponseCode::NoError)),
            "servfail" => send(without_records(query, ResponseCode::ServFail)),
            "refused" => send(without_records(query, ResponseCode::Refused)),
            "silent" => Vec::new(),
            "fin" => vec![ScriptStep::Close],
            "rst" => vec![ScriptStep::Reset],
            "drip" => vec![ScriptStep::Drip(encode(&ok(), transport), DRIP_PAUSE)],
            _ => match reaction.strip_prefix("slow").and_then(|digits| digits.parse().ok()) {
                Some(milliseconds) => {
                    let wait = ScriptStep::Wait(Duration::from_millis(milliseconds));
                    [vec![wait], send(ok())].concat()
                }
                None => hostile::steps(self, reaction, query, transport)
                    .unwrap_or_else(|| send(self.negative(query, ResponseCode::NXDomain))),
            },
        }
    }
}
