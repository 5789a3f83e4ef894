//! Environment variables: `{$NAME}` and `{%NAME%}` in a Corefile, Service addresses.

use std::collections::BTreeMap;

/// Environment variables, passed in by the process.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<String, String>);

/// The end of the name of the variable with the cluster address of a Service.
const SERVICE_HOST: &str = "_SERVICE_HOST";

impl Environment {
    /// The value of a variable, if it is set.
    pub fn lookup(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The variable that the kubelet sets to the cluster address of a Service:
    /// `KUBE_DNS_UPSTREAM_SERVICE_HOST` for `kube-dns-upstream`.
    pub fn service_variable(service: &str) -> String {
        service.to_uppercase().replace('-', "_") + SERVICE_HOST
    }

    /// The cluster address of a Service. The kubelet sets it only for a Service of the pod's
    /// namespace that existed before the container started.
    pub fn service_host(&self, service: &str) -> Option<&str> {
        self.lookup(&Self::service_variable(service))
    }

    /// The cluster addresses of all Services that the kubelet names.
    pub fn service_hosts(&self) -> impl Iterator<Item = &str> {
        let is_service = |name: &&String| name.ends_with(SERVICE_HOST);
        self.0.iter().filter(move |(name, _)| is_service(name)).map(|(_, host)| host.as_str())
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_found_under_its_upper_case_name_with_underscores() {
        let env: Environment = [("KUBE_DNS_UPSTREAM_SERVICE_HOST", "10.233.0.3")].into_iter().collect();
        assert_eq!(env.service_host("kube-dns-upstream"), Some("10.233.0.3"));
        assert_eq!(env.service_host("coredns"), None);
    }
}
