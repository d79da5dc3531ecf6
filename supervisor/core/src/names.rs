//! Session ids: `champion-role`, any unambiguous prefix of which is enough.

pub const ROLES: [&str; 5] = ["top", "jungle", "mid", "bot", "support"];

#[rustfmt::skip]
pub const CHAMPIONS: [&str; 168] = [
    "aatrox", "ahri", "akali", "akshan", "alistar", "ambessa", "amumu", "anivia", "annie", "aphelios", "ashe",
    "aurelion", "aurora", "azir", "bard", "belveth", "blitzcrank", "brand", "braum", "briar", "caitlyn",
    "camille", "cassiopeia", "chogath", "corki", "darius", "diana", "draven", "ekko", "elise", "evelynn",
    "ezreal", "fiddlesticks", "fiora", "fizz", "galio", "gangplank", "garen", "gnar", "gragas", "graves",
    "gwen", "hecarim", "heimer", "hwei", "illaoi", "irelia", "ivern", "janna", "jarvan", "jax", "jayce",
    "jhin", "jinx", "kaisa", "kalista", "karma", "karthus", "kassadin", "katarina", "kayle", "kayn", "kennen",
    "khazix", "kindred", "kled", "kogmaw", "ksante", "leblanc", "leesin", "leona", "lillia", "lissandra",
    "lucian", "lulu", "lux", "malphite", "malzahar", "maokai", "masteryi", "mel", "milio", "mordekaiser",
    "morgana", "naafiri", "nami", "nasus", "nautilus", "neeko", "nidalee", "nilah", "nocturne", "nunu",
    "olaf", "orianna", "ornn", "pantheon", "poppy", "pyke", "qiyana", "quinn", "rakan", "rammus", "reksai",
    "rell", "renata", "renekton", "rengar", "riven", "rumble", "ryze", "samira", "sejuani", "senna",
    "seraphine", "sett", "shaco", "shen", "shyvana", "singed", "sion", "sivir", "skarner", "smolder", "sona",
    "soraka", "swain", "sylas", "syndra", "tahm", "taliyah", "talon", "taric", "teemo", "thresh", "tristana",
    "trundle", "tryndamere", "twisted", "twitch", "udyr", "urgot", "varus", "vayne", "veigar", "velkoz",
    "vex", "viego", "viktor", "vladimir", "volibear", "warwick", "wukong", "xayah", "xerath", "xinzhao",
    "yasuo", "yone", "yorick", "yunara", "yuumi", "zac", "zed", "zeri", "ziggs", "zilean", "zoe", "zyra",
];

/// A free name. `seed` is any number, the same seed and the same taken names give the same name.
pub fn pick_name(seed: u64, taken: impl Fn(&str) -> bool) -> String {
    let all = CHAMPIONS.len() * ROLES.len();
    let start = (seed % all as u64) as usize;
    // A step that shares no factor with the count visits every name once.
    let walk = (0..all).map(|i| (start + i * 11) % all);
    for round in 1_u32.. {
        for at in walk.clone() {
            let (champion, role) = (CHAMPIONS[at / ROLES.len()], ROLES[at % ROLES.len()]);
            let name =
                if round == 1 { format!("{champion}-{role}") } else { format!("{champion}-{role}-{round}") };
            if !taken(&name) {
                return name;
            }
        }
    }
    String::new()
}

/// What a typed id means among the ids there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    One(String),
    None,
    /// The prefix fits several, which are named.
    Several(Vec<String>),
}

/// An exact id wins over the ids it is a prefix of.
pub fn resolve<'a>(typed: &str, ids: impl Iterator<Item = &'a str>) -> Resolution {
    let mut fitting: Vec<String> = Vec::new();
    for id in ids {
        if id == typed {
            return Resolution::One(id.to_owned());
        }
        if !typed.is_empty() && id.starts_with(typed) {
            fitting.push(id.to_owned());
        }
    }
    fitting.sort();
    match fitting.len() {
        0 => Resolution::None,
        1 => Resolution::One(fitting.remove(0)),
        _ => Resolution::Several(fitting),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_many_and_never_the_same() {
        assert!(CHAMPIONS.len() >= 145);
        assert_eq!(CHAMPIONS.iter().collect::<HashSet<_>>().len(), CHAMPIONS.len());
        let mut taken = HashSet::new();
        for _ in 0..CHAMPIONS.len() * ROLES.len() + 3 {
            let name = pick_name(42, |n| taken.contains(n));
            assert!(taken.insert(name.clone()), "{name} twice");
        }
    }

    #[test]
    fn a_prefix_is_enough_when_it_fits_one() {
        let ids = ["fizz-top", "fizz-top-2", "lux-mid"];
        let find = |typed| resolve(typed, ids.into_iter());
        assert_eq!(find("lux"), Resolution::One("lux-mid".into()));
        assert_eq!(find("fizz-top"), Resolution::One("fizz-top".into()));
        assert_eq!(find("fizz"), Resolution::Several(vec!["fizz-top".into(), "fizz-top-2".into()]));
        assert_eq!(find("zed"), Resolution::None);
        assert_eq!(find(""), Resolution::None);
    }
}
