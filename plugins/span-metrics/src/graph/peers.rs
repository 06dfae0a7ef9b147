//! Who is at the other end of a call, as the client says.

use isinglass_plugin::{Batch, Request};

use super::settings::Settings;
use crate::attributes::{Values, request};

const ADDRESSES: [&str; 4] = ["peer.service", "server.address", "network.peer.address", "network.peer.port"];

/// Attributes that are looked at.
#[derive(Debug, Clone)]
pub(crate) struct Peers {
    slot: u16,
    /// By slot.
    attributes: Vec<String>,
    peers: Vec<usize>,
    databases: Vec<usize>,
    addresses: [usize; 4],
}

/// Those that a batch has.
#[derive(Debug)]
pub(super) struct PeerColumns<'a> {
    of: &'a Peers,
    columns: Vec<Option<Values<'a>>>,
}

impl Peers {
    pub(super) fn new(settings: &Settings, slot: u16) -> Self {
        let mut attributes: Vec<String> = Vec::new();
        let mut place = |name: &str| {
            attributes.iter().position(|known| known == name).unwrap_or_else(|| {
                attributes.push(name.to_owned());
                attributes.len() - 1
            })
        };
        let peers = settings.peers.iter().map(|name| place(name)).collect();
        let databases = settings.databases.iter().map(|name| place(name)).collect();
        let addresses = ADDRESSES.map(&mut place);
        Self { slot, attributes, peers, databases, addresses }
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        let all = (self.slot..).zip(&self.attributes);
        all.map(|(slot, name)| request(slot, format!("own:{name}"))).collect()
    }

    pub(super) fn read<'a>(&'a self, batch: &'a Batch) -> PeerColumns<'a> {
        let columns = (self.slot..).zip(&self.attributes).map(|(slot, _)| Values::read(batch, slot));
        PeerColumns { of: self, columns: columns.collect() }
    }
}

impl<'a> PeerColumns<'a> {
    /// All columns that there are.
    pub(super) fn all(&self) -> impl Iterator<Item = &Values<'a>> {
        self.columns.iter().flatten()
    }

    /// The server of a client's span, if it is not instrumented.
    pub(super) fn name(&self, row: usize) -> String {
        self.first(&self.of.peers, row)
    }

    /// The name of the database that a client's span calls, if it is one.
    pub(super) fn database(&self, row: usize) -> Option<String> {
        let name = Some(self.first(&self.of.databases, row)).filter(|name| !name.is_empty())?;
        let [service, server, address, port] = self.of.addresses.map(|at| self.text(at, row));
        Some(match (service, server, address) {
            (service, _, _) if !service.is_empty() => service,
            (_, server, _) if !server.is_empty() => server,
            (_, _, address) if !address.is_empty() && !port.is_empty() => format!("{address}:{port}"),
            (_, _, address) if !address.is_empty() => address,
            _ => name,
        })
    }

    fn first(&self, attributes: &[usize], row: usize) -> String {
        let texts = attributes.iter().map(|at| self.text(*at, row));
        texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
    }

    fn text(&self, attribute: usize, row: usize) -> String {
        self.columns[attribute].as_ref().map(|values| values.text(row).into_owned()).unwrap_or_default()
    }
}
