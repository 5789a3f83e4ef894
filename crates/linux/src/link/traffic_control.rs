//! Programs at links (tc, of the kind `bpf`).

use futures_util::TryStreamExt;
use rtnetlink::packet_route::tc::{TcAttribute, TcMessage};

use super::error::LinkError;
use super::route::{LinkIdentity, Rtnetlink, failed};

const BPF: &str = "bpf";

impl Rtnetlink {
    /// Whether a program is run for packets that come in on the link. Those attached with tcx are not
    /// listed.
    pub(crate) async fn has_ingress_program(&self, link: &LinkIdentity) -> Result<bool, LinkError> {
        let Ok(index) = i32::try_from(link.index) else { return Ok(false) };
        let filters = self.handle.traffic_filter(index).get().ingress().execute();
        let is_program = |filter: TcMessage| filter.attributes.contains(&TcAttribute::Kind(BPF.to_owned()));
        let found = filters.try_any(async |filter| is_program(filter)).await;
        found.map_err(|error| failed(format!("list the filters of link {}", link.name), error))
    }
}
