//! Which kernels a processor has, found once when a device is made.

use super::gather::Cipher;
use super::hash::{self, HashJob, OneByOne};
use super::schedule::Schedule;

#[cfg(target_arch = "x86_64")]
use super::{
    avx::{Avx2, Avx512, ManyOrFew},
    sha_ni::ShaNi,
    vaes::{Vaes256, Vaes512},
};

/// How AES modes are carried out.
#[derive(Clone, Copy, Debug)]
pub(super) enum AesKernel {
    #[cfg(target_arch = "x86_64")]
    Vaes512(Vaes512),
    #[cfg(target_arch = "x86_64")]
    Vaes256(Vaes256),
    /// The `aes` crate's calls for several blocks.
    Gather,
}

/// How SHA-256 is carried out.
#[derive(Clone, Copy, Debug)]
pub(super) enum HashKernel {
    /// With SHA-NI for a few lanes.
    #[cfg(target_arch = "x86_64")]
    Avx512ShaNi(ManyOrFew<Avx512, ShaNi>),
    #[cfg(target_arch = "x86_64")]
    Avx512(ManyOrFew<Avx512, OneByOne>),
    #[cfg(target_arch = "x86_64")]
    ShaNi(ShaNi),
    #[cfg(target_arch = "x86_64")]
    Avx2(ManyOrFew<Avx2, OneByOne>),
    OneByOne,
}

/// One choice of each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernels {
    pub(super) aes: AesKernel,
    pub(super) hash: HashKernel,
}

/// A block of sixteen lanes of AVX-512 takes as long as this many by SHA-NI (AMD Zen 5: 9.6).
#[cfg(target_arch = "x86_64")]
const AVX512_LANES_MIN: usize = 10;
/// A block of all lanes takes less time than so many by additions and rotations of one.
#[cfg(target_arch = "x86_64")]
const WIDE_LANES_MIN: usize = 3;

impl Kernels {
    /// The best there are.
    pub(super) fn detect() -> Self {
        let (aes, hash) = (AesKernel::available(), HashKernel::available());
        Self {
            aes: aes.into_iter().next().unwrap_or(AesKernel::Gather),
            hash: hash.into_iter().next().unwrap_or(HashKernel::OneByOne),
        }
    }

    /// Choices in which every kernel that the processor has occurs.
    #[cfg(test)]
    pub(super) fn all_available() -> Vec<Self> {
        let (aes, hash) = (AesKernel::available(), HashKernel::available());
        (0..aes.len().max(hash.len()))
            .map(|index| Self { aes: aes[index % aes.len()], hash: hash[index % hash.len()] })
            .collect()
    }
}

impl AesKernel {
    /// The best first.
    fn available() -> Vec<Self> {
        let mut kernels = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            kernels.extend(Vaes512::detect().map(Self::Vaes512));
            kernels.extend(Vaes256::detect().map(Self::Vaes256));
        }
        kernels.push(Self::Gather);
        kernels
    }

    /// What a session keeps of its key, for encryption and for decryption; `None` when the key's length does not fit.
    pub(super) fn keys(self, key: &[u8], decrypts: bool) -> Option<AesKeys> {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Vaes512(vector) => {
                let inverse = if decrypts { Some(vector.inverse_schedule(key)?) } else { None };
                Some(AesKeys::Schedules(vector.schedule(key)?, inverse))
            }
            #[cfg(target_arch = "x86_64")]
            Self::Vaes256(vector) => {
                let inverse = if decrypts { Some(vector.inverse_schedule(key)?) } else { None };
                Some(AesKeys::Schedules(vector.schedule(key)?, inverse))
            }
            Self::Gather => Cipher::new(key).map(AesKeys::Cipher),
        }
    }
}

/// A key as its kernel wants it.
pub(super) enum AesKeys {
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "no kernel of ours"))]
    Schedules(Box<Schedule>, Option<Box<Schedule>>),
    Cipher(Box<Cipher>),
}

impl HashKernel {
    /// The best first.
    fn available() -> Vec<Self> {
        let mut kernels = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let few = OneByOne;
            if let Some((many, few)) = Avx512::detect().zip(ShaNi::detect()) {
                kernels.push(Self::Avx512ShaNi(ManyOrFew { many, few, many_min: AVX512_LANES_MIN }));
            }
            let many = Avx512::detect();
            let avx512 = many.map(|many| Self::Avx512(ManyOrFew { many, few, many_min: WIDE_LANES_MIN }));
            if ShaNi::detect().is_none() {
                kernels.extend(avx512);
            }
            kernels.extend(ShaNi::detect().map(Self::ShaNi));
            if ShaNi::detect().is_some() {
                kernels.extend(avx512);
            }
            let avx2 = Avx2::detect();
            kernels.extend(avx2.map(|many| Self::Avx2(ManyOrFew { many, few, many_min: WIDE_LANES_MIN })));
        }
        kernels.push(Self::OneByOne);
        kernels
    }

    pub(super) fn run<'a>(self, jobs: impl Iterator<Item = HashJob<'a>>) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512ShaNi(kernel) => hash::run::<_, 16>(kernel, jobs),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(kernel) => hash::run::<_, 16>(kernel, jobs),
            #[cfg(target_arch = "x86_64")]
            Self::ShaNi(kernel) => hash::run::<_, 4>(kernel, jobs),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(kernel) => hash::run::<_, 8>(kernel, jobs),
            Self::OneByOne => hash::run::<_, 1>(OneByOne, jobs),
        }
    }
}
