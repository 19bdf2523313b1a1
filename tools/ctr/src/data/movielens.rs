//! MovieLens-100K: who rated which film, and whether highly.

use std::collections::HashMap;
use std::fs::read_to_string;
use std::path::Path;

use super::{Samples, fetch};
use crate::failure::{Failure, Result};
use crate::terminal::Terminal;

/// User, age, gender, occupation, zip; film, year, genres.
const FIELDS: usize = 8;
/// From this rating on it is a click.
const LIKED: f32 = 4.0;

/// The samples of a folder, or of the person's cache, which they are fetched into if need be.
pub fn movielens(folder: Option<&Path>, terminal: &Terminal) -> Result<Samples> {
    let folder = match folder {
        Some(folder) => folder.to_path_buf(),
        None => fetch::cached(terminal)?,
    };
    let read = |name| {
        let path = folder.join(name);
        read_to_string(&path).map_err(|error| {
            let files = fetch::FILES.map(|file| file.name).join(", ");
            let problem = format!("{error}; --data-dir takes a folder with {files}");
            Failure::about(&path, problem)
        })
    };
    let texts = (
        read(fetch::RATINGS)?,
        read(fetch::FILMS)?,
        read(fetch::USERS)?,
    );
    samples(&texts.0, &texts.1, &texts.2).map_err(|problem| Failure::about(&folder, problem))
}

/// What may be wrong with a text.
type Parsed<T> = std::result::Result<T, String>;

/// The samples of the three files' texts.
fn samples(ratings: &str, films: &str, users: &str) -> Parsed<Samples> {
    let mut ids = Ids::default();
    let users = users_of(users, &mut ids)?;
    let films = films_of(films, &mut ids)?;
    let mut samples = Samples::new(FIELDS, ids.rows());
    for [user, film, rating, _time] in lines(ratings, fetch::RATINGS)? {
        let wrong = |what, text| format!("{}: {what} {text} is not known", fetch::RATINGS);
        let user = users.get(user).ok_or_else(|| wrong("user", user))?;
        let film = films.get(film).ok_or_else(|| wrong("film", film))?;
        let rating: f32 = rating.parse().map_err(|_| wrong("rating", rating))?;
        let bags = (0..).zip(user.iter().chain(film));
        let bags: Vec<_> = bags.map(|(field, bag)| ids.to_rows(field, bag)).collect();
        samples.push(rating >= LIKED, bags.iter().map(Vec::as_slice));
    }
    Ok(samples)
}

/// A user's five bags of ids.
fn users_of<'a>(text: &'a str, ids: &mut Ids<'a>) -> Parsed<HashMap<&'a str, [Vec<u32>; 5]>> {
    let lines = lines(text, fetch::USERS)?.into_iter();
    let known = lines.map(|[user, age, gender, work, zip]| {
        // The first digit is a part of the country.
        let zip = zip.get(..1).unwrap_or_default();
        let values = [(0, user), (1, age), (2, gender), (3, work), (4, zip)];
        (
            user,
            values.map(|(field, value)| vec![ids.of(field, value)]),
        )
    });
    Ok(known.collect())
}

/// A film's three bags of ids; it may have many genres.
fn films_of<'a>(text: &'a str, ids: &mut Ids<'a>) -> Parsed<HashMap<&'a str, [Vec<u32>; 3]>> {
    let lines = lines(text, fetch::FILMS)?.into_iter();
    let known = lines.map(|[film, _title, year, genres]| {
        let genres = genres.split_whitespace();
        let genres = genres.map(|genre| ids.of(7, genre)).collect();
        (film, [vec![ids.of(5, film)], vec![ids.of(6, year)], genres])
    });
    Ok(known.collect())
}

/// The cells of every line but the first, which names the columns.
fn lines<'a, const COLUMNS: usize>(text: &'a str, name: &str) -> Parsed<Vec<[&'a str; COLUMNS]>> {
    let numbered = (1..).zip(text.lines()).skip(1);
    numbered
        .map(|(number, line)| {
            let cells: Vec<_> = line.split('\t').collect();
            let found = cells.len();
            cells.try_into().map_err(|_| {
                format!("{name}: line {number} has {found} columns instead of {COLUMNS}")
            })
        })
        .collect()
}

/// Numbers for the values of every field, by first appearance.
#[derive(Default)]
struct Ids<'a> {
    fields: [HashMap<&'a str, u32>; FIELDS],
}

impl<'a> Ids<'a> {
    fn of(&mut self, field: usize, value: &'a str) -> u32 {
        let known = &mut self.fields[field];
        let next = known.len() as u32;
        *known.entry(value).or_insert(next)
    }

    /// Rows of all fields.
    fn rows(&self) -> usize {
        self.fields.iter().map(HashMap::len).sum()
    }

    /// Rows of the table, where a field follows the one before it.
    fn to_rows(&self, field: usize, ids: &[u32]) -> Vec<u32> {
        let before = self.fields[..field].iter().map(HashMap::len);
        let first = before.sum::<usize>() as u32;
        ids.iter().map(|id| first + id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n\
        1\t24\tM\ttechnician\t85711\n2\t53\tF\tother\t94043\n";
    const FILMS: &str = "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n\
        242\tKolya\t1996\tComedy\n302\tL.A. Confidential\t1997\tCrime Film-Noir Comedy\n267\tunknown\t\t\n";
    const RATINGS: &str = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n\
        2\t302\t3\t881250949\n1\t242\t4\t891717742\n1\t267\t5\t1\n";

    #[test]
    fn ratings_become_samples() {
        let samples = samples(RATINGS, FILMS, USERS).unwrap();
        // 2 users, ages, genders, occupations and zips; 3 films and years; 3 genres.
        assert_eq!((samples.fields, samples.rows, samples.len()), (8, 19, 3));
        let batch = samples.batch(&[0, 1, 2]);
        assert_eq!(batch.labels, [0.0, 1.0, 1.0]);
        let bags: Vec<_> = batch.rows_of_bags().collect();
        assert_eq!(bags[..8].concat(), [1, 3, 5, 7, 9, 11, 14, 17, 18, 16]);
        assert_eq!(bags[8..16].concat(), [0, 2, 4, 6, 8, 10, 13, 16]);
        assert!(bags[23].is_empty());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let cut = "a\tb\tc\td\n1\t2\t3\n";
        let error = samples(cut, FILMS, USERS).unwrap_err();
        assert_eq!(error, "ml-100k.inter: line 2 has 3 columns instead of 4");
        let stranger = "head\n9\t242\t4\t1\n";
        let error = samples(stranger, FILMS, USERS).unwrap_err();
        assert_eq!(error, "ml-100k.inter: user 9 is not known");
    }
}
