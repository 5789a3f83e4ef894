//! `msghdr` fields of `recvmmsg` and `sendmmsg`: socket addresses and control messages (packet
//! info, SCM_RIGHTS) in kernel layout (`struct sockaddr_in`, `sockaddr_in6`, `cmsghdr`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::RawFd;

/// Maximum datagrams per call of `recvmmsg` and `sendmmsg`.
pub const BATCH_SIZE: usize = 32;

/// Octets of `struct sockaddr_in6`, the larger of the two address forms.
pub(crate) const NAME_OCTETS: u32 = 28;
const _: () = assert!(NAME_OCTETS as usize == size_of::<libc::sockaddr_in6>());
/// Octets of `struct sockaddr_in`.
const NAME_OCTETS_V4: u32 = 16;
const _: () = assert!(NAME_OCTETS_V4 as usize == size_of::<libc::sockaddr_in>());
/// `AF_INET` as `sa_family_t`.
const FAMILY_V4: u16 = 2;
const _: () = assert!(FAMILY_V4 as libc::c_int == libc::AF_INET);
/// `AF_INET6` as `sa_family_t`.
const FAMILY_V6: u16 = 10;
const _: () = assert!(FAMILY_V6 as libc::c_int == libc::AF_INET6);
/// Octets of `struct cmsghdr`; its size is a multiple of the alignment that control data needs.
const CONTROL_HEADER: usize = size_of::<libc::cmsghdr>();
/// Control messages start at multiples of this many octets.
const CONTROL_ALIGN: usize = size_of::<usize>();
/// Octets of one control message with the larger packet info, `struct in6_pktinfo`.
const CONTROL_OCTETS: usize = CONTROL_HEADER + size_of::<libc::in6_pktinfo>().next_multiple_of(CONTROL_ALIGN);

/// `msg_name` and `msg_control` of one datagram, in kernel layout, for either address family.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(crate) struct MsgHdr {
    /// A sequence of `struct cmsghdr`; aligned, because it is the first field of an aligned struct.
    pub(crate) control: [u8; CONTROL_OCTETS],
    /// Octets of `control` in use.
    pub(crate) control_len: usize,
    /// A `struct sockaddr_in` or `sockaddr_in6`; its offset is a multiple of eight.
    pub(crate) name: [u8; NAME_OCTETS as usize],
    /// Octets of `name` in use.
    pub(crate) name_len: u32,
}

impl MsgHdr {
    /// No peer, no control message.
    pub(crate) const EMPTY: Self =
        Self { control: [0; CONTROL_OCTETS], control_len: 0, name: [0; NAME_OCTETS as usize], name_len: 0 };

    /// Makes it one for a datagram to `peer`, with the source address `local` if given.
    pub(crate) fn set(&mut self, peer: SocketAddr, local: Option<IpAddr>) {
        self.control_len = 0;
        match peer {
            SocketAddr::V4(peer) => self.set_peer_v4(peer),
            SocketAddr::V6(peer) => self.set_peer_v6(peer),
        }
        match local {
            // struct in_pktinfo: interface index, source address, destination address (not read on
            // sending).
            Some(IpAddr::V4(local)) => {
                let [a, b, c, d] = local.octets();
                let info = [0, 0, 0, 0, a, b, c, d, 0, 0, 0, 0];
                self.set_control(libc::IPPROTO_IP, libc::IP_PKTINFO, &info);
            }
            // struct in6_pktinfo: source address, interface index.
            Some(IpAddr::V6(local)) => {
                let mut info = [0; size_of::<libc::in6_pktinfo>()];
                put(&mut info, 0, &local.octets());
                self.set_control(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
            }
            None => {}
        }
    }

    fn set_peer_v4(&mut self, peer: SocketAddrV4) {
        put(&mut self.name, 0, &FAMILY_V4.to_ne_bytes());
        put(&mut self.name, 2, &peer.port().to_be_bytes());
        put(&mut self.name, 4, &peer.ip().octets());
        self.name_len = NAME_OCTETS_V4;
    }

    fn set_peer_v6(&mut self, peer: SocketAddrV6) {
        put(&mut self.name, 0, &FAMILY_V6.to_ne_bytes());
        put(&mut self.name, 2, &peer.port().to_be_bytes());
        put(&mut self.name, 4, &peer.flowinfo().to_be_bytes());
        put(&mut self.name, 8, &peer.ip().octets());
        put(&mut self.name, 24, &peer.scope_id().to_ne_bytes());
        self.name_len = NAME_OCTETS;
    }

    fn set_control(&mut self, level: i32, kind: i32, info: &[u8]) {
        put(&mut self.control, 0, &(CONTROL_HEADER + info.len()).to_ne_bytes());
        put(&mut self.control, size_of::<usize>(), &level.to_ne_bytes());
        put(&mut self.control, size_of::<usize>() + 4, &kind.to_ne_bytes());
        put(&mut self.control, CONTROL_HEADER, info);
        self.control_len = CONTROL_HEADER + info.len().next_multiple_of(CONTROL_ALIGN);
    }

    /// The peer; nothing when the kernel wrote no IPv4 or IPv6 address.
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        let name = self.name.get(..usize::try_from(self.name_len).ok()?)?;
        let port = u16::from_be_bytes(array(name, 2)?);
        match u16::from_ne_bytes(array(name, 0)?) {
            FAMILY_V4 => {
                let ip = Ipv4Addr::from(array::<4>(name, 4)?);
                Some(SocketAddr::V4(SocketAddrV4::new(ip, port)))
            }
            FAMILY_V6 => {
                let flow = u32::from_be_bytes(array(name, 4)?);
                let ip = Ipv6Addr::from(array::<16>(name, 8)?);
                let scope = u32::from_ne_bytes(array(name, 24)?);
                Some(SocketAddr::V6(SocketAddrV6::new(ip, port, flow, scope)))
            }
            _ => None,
        }
    }

    /// The destination address of the datagram, if packet info is enabled on the socket.
    pub(crate) fn local(&self) -> Option<IpAddr> {
        let mut rest = self.control.get(..self.control_len)?;
        loop {
            let length = usize::from_ne_bytes(array(rest, 0)?);
            let level = i32::from_ne_bytes(array(rest, size_of::<usize>())?);
            let kind = i32::from_ne_bytes(array(rest, size_of::<usize>() + 4)?);
            let info = rest.get(CONTROL_HEADER..length)?;
            match (level, kind) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    return Some(IpAddr::from(array::<4>(info, 4)?));
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    return Some(IpAddr::from(array::<16>(info, 0)?));
                }
                _ => rest = rest.get(length.checked_next_multiple_of(CONTROL_ALIGN)?..)?,
            }
        }
    }
}

/// Buffer for one SCM_RIGHTS control message with up to `MAX` descriptors, in kernel layout.
#[repr(C, align(8))]
pub(crate) struct ScmRightsBuffer<const MAX: usize> {
    header: [u8; CONTROL_HEADER],
    numbers: [[u8; size_of::<RawFd>()]; MAX],
}

impl<const MAX: usize> ScmRightsBuffer<MAX> {
    /// Octets for the header and the descriptors, without the padding at the end of the struct,
    /// which would hold one more.
    pub(crate) const LEN: usize = CONTROL_HEADER + MAX * size_of::<RawFd>();
    /// No control message.
    pub(crate) const EMPTY: Self =
        Self { header: [0; CONTROL_HEADER], numbers: [[0; size_of::<RawFd>()]; MAX] };

    /// The descriptors in the first `filled` octets, as the kernel wrote them: in one message, and
    /// without messages of other kinds, which are off by default.
    pub(crate) fn descriptors(&self, filled: usize) -> impl Iterator<Item = RawFd> {
        let field = |offset| array(&self.header, offset).map(i32::from_ne_bytes);
        let kind = (field(size_of::<usize>()), field(size_of::<usize>() + 4));
        let is_rights = kind == (Some(libc::SOL_SOCKET), Some(libc::SCM_RIGHTS));
        let length = array(&self.header, 0).map_or(0, usize::from_ne_bytes).min(filled);
        let octets = if is_rights { length.saturating_sub(CONTROL_HEADER) } else { 0 };
        let numbers = self.numbers.iter().take(octets / size_of::<RawFd>());
        numbers.map(|number| RawFd::from_ne_bytes(*number))
    }
}

/// Writes `octets` at `offset`; every caller's field lies inside the target.
fn put(target: &mut [u8], offset: usize, octets: &[u8]) {
    if let Some(field) = target.get_mut(offset..offset + octets.len()) {
        field.copy_from_slice(octets);
    }
}

fn array<const N: usize>(octets: &[u8], offset: usize) -> Option<[u8; N]> {
    octets.get(offset..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::MsgHdr;

    #[test]
    fn peer_and_local_survive_the_kernel_layout() {
        for (peer, local) in [
            ("192.0.2.7:5353", Some("169.254.25.10")),
            ("[2001:db8::7]:65535", Some("fd00:25::10")),
            ("127.0.0.1:1", None),
        ] {
            let (peer, local) = (peer.parse().unwrap(), local.map(|ip| ip.parse().unwrap()));
            let mut msghdr = MsgHdr::EMPTY;
            msghdr.set(peer, local);
            assert_eq!(msghdr.peer(), Some(peer));
            assert_eq!(msghdr.local(), local);
        }
    }

    #[test]
    fn control_messages_of_other_kinds_are_skipped() {
        let mut msghdr = MsgHdr::EMPTY;
        msghdr.set_control(libc::SOL_SOCKET, libc::SO_RXQ_OVFL, &[1, 0, 0, 0]);
        assert_eq!(msghdr.local(), None);
        msghdr.control_len = 3;
        assert_eq!(msghdr.local(), None, "a truncated header");
        msghdr.control_len = usize::MAX;
        assert_eq!(msghdr.local(), None, "a length beyond the buffer");
        assert_eq!(MsgHdr::EMPTY.peer(), None);
    }
}
