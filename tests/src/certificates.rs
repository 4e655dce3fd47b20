//! Certificates of one's own, made for a test: an authority and what it vouches for.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// An authority that nobody knows unless told.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its private key, both as PEM.
pub struct Certificate {
    /// What is shown.
    pub certificate: String,
    /// What proves it.
    pub key: String,
}

impl Authority {
    /// An authority by its name.
    pub fn new(name: &str) -> Authority {
        let mut params = params(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, key()).expect("it signs for itself"))
    }

    /// Its own certificate, as PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for these hosts.
    pub fn vouch_for(&self, hosts: &[&str]) -> Certificate {
        let key = key();
        let signed = params("a test", hosts).signed_by(&key, &self.0).expect("it signs what is well formed");
        Certificate { certificate: signed.pem(), key: key.serialize_pem() }
    }
}

fn params(name: &str, hosts: &[&str]) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts).expect("they are names of hosts");
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn key() -> KeyPair {
    KeyPair::generate().expect("the library makes keys")
}
