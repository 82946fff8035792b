"""Events of the entertainment section."""

from scripts.dataset.newswire.event import Event, Section

SECTION = Section(
    events=(
        Event(
            "box office",
            "ENTERTAINMENT",
            styles=(
                (
                    '"{title}," a {genre} by {person}, [earned|took] {money} on its first weekend.',
                    '"{title}" earns {money} on first weekend',
                ),
                (
                    '{person} [scored|had] a hit with the {genre} "{title}," which earned {money} on its '
                    "first weekend.",
                    '{person.last} scores hit with {genre} "{title}"',
                ),
                (
                    'A {genre} by {person} [topped|led] the charts as "{title}" earned {money} on its first weekend.',
                    "{genre} by {person.last} tops charts with {money}",
                ),
            ),
            details=(
                "{person.last} had [shot|filmed] it in {count} days.",
                "The film [cost|needed] little and plays in {country} next.",
            ),
            choices={"genre": ("comedy", "thriller", "western", "musical", "cartoon")},
        ),
        Event(
            "tour",
            "ENTERTAINMENT",
            styles=(
                (
                    "Singer {person} [announced|confirmed] a tour of {count} concerts that [starts|opens] in {place}.",
                    "Singer {person.last} announces tour of {count} concerts",
                ),
                (
                    "{place} will [see|host] the first of {count} concerts by singer {person}.",
                    "{place} to host first concert of {person.last} tour",
                ),
                (
                    "A tour of {count} concerts by singer {person} will [start|open] in {place}.",
                    "{person.last} tour to start in {place}",
                ),
            ),
            details=(
                "{person.last} has [sold|sent out] {crowd} tickets since Monday.",
                "It is the first tour by {person.last} in {years}.",
            ),
        ),
        Event(
            "award",
            "ENTERTAINMENT",
            styles=(
                (
                    '{person} [won|took] the {prize} prize in {place} for "{title}."',
                    '{person.last} wins {prize} prize for "{title}"',
                ),
                (
                    '"{title}" [brought|won] {person} the {prize} prize in {place}.',
                    '"{title}" wins {person.last} {prize} prize',
                ),
                (
                    'The {prize} prize in {place} [went|goes] to {person} for "{title}."',
                    "{place} {prize} prize goes to {person.last}",
                ),
            ),
            details=(
                "The jury [saw|chose from] {count} works, and {person.last} wept on stage.",
                "{person.last} had [waited|worked] {years} for the award.",
            ),
            choices={"prize": ("best actor", "best novel", "best song", "best director", "best drama")},
        ),
        Event(
            "casting",
            "ENTERTAINMENT",
            styles=(
                (
                    '{person} will [play|be] a {role} in "{title}," a series by {company}.',
                    '{person.last} to play {role} in "{title}"',
                ),
                (
                    '{company} [hired|cast] {person} as a {role} for its series "{title}."',
                    '{company} casts {person.last} in "{title}"',
                ),
                (
                    'The series "{title}" by {company} [follows|shows] a {role} played by {person}.',
                    'Series "{title}" stars {person.last} as {role}',
                ),
            ),
            details=(
                "{person.last} gets {money} for {count} episodes.",
                "Filming [starts|begins] in {place}, where {person.last} grew up.",
            ),
            choices={"role": ("spy", "surgeon", "pirate", "queen", "chess master", "detective")},
        ),
    ),
    asides=(
        "Director {other_person} [turned|looked] to the stage instead.",
        "A show by {other_person} was canceled in {other_place}.",
        "Last year's leader came from {other_country} and made {other_money}.",
        "Critic {other_person} gave it {other_count} lines.",
        "Studio {other_rival} [sold|lost] the rights to a remake.",
    ),
)
