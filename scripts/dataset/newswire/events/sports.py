"""Events of the sports section."""

from scripts.dataset.newswire.event import Event, Section

SECTION = Section(
    events=(
        Event(
            "final",
            "SPORTS",
            styles=(
                (
                    "The {team} [beat|defeated] the {opponent} {score} to win the {cup}, [helped|led] by {person}.",
                    "{team} beat {opponent} {score} to win {cup}",
                ),
                (
                    "{person} [led|carried] the {team} to a {score} win over the {opponent} in the {cup}.",
                    "{person.last} leads {team} to {cup}",
                ),
                (
                    "The {opponent} [lost|dropped] the {cup} {score} to the {team} and their star {person}.",
                    "{opponent} lose {cup} to {team}",
                ),
            ),
            details=(
                "{person.last} [scored|struck] late before a crowd of {crowd}.",
                "It is the first title for {person.last} in {years}.",
            ),
            choices={"cup": ("league title", "national cup", "state trophy", "winter cup")},
        ),
        Event(
            "transfer",
            "SPORTS",
            styles=(
                (
                    "{position} {person} [joined|signed with] the {team} from the {opponent} for {money}.",
                    "{position} {person.last} joins {team} for {money}",
                ),
                (
                    "The {team} [paid|spent] {money} to bring {position} {person} from the {opponent}.",
                    "{team} sign {person.last} from {opponent}",
                ),
                (
                    "The {opponent} [sold|let go] {position} {person} to the {team} for {money}.",
                    "{opponent} sell {person.last} to {team} for {money}",
                ),
            ),
            details=(
                "The contract of {person.last} [runs|lasts] for {soon}.",
                "{person.last} [scored|made] {count} goals last season.",
            ),
            choices={"position": ("striker", "goalkeeper", "defender", "winger")},
        ),
        Event(
            "injury",
            "SPORTS",
            styles=(
                (
                    "{person} of the {team} will [miss|sit out] {count} games with a {injury} injury.",
                    "{person.last} to miss {count} games with {injury} injury",
                ),
                (
                    "The {team} will be [without|missing] {person} for {count} games because of a {injury} injury.",
                    "{team} lose {person.last} for {count} games",
                ),
                (
                    "A {injury} injury will [keep|hold] {person} of the {team} out for {count} games.",
                    "{injury} injury keeps {team} star {person.last} out",
                ),
            ),
            details=(
                "{person.last} was [hurt|injured] in a practice session in {place}.",
                "Doctors in {place} [operated on|treated] {person.last} overnight.",
            ),
            choices={"injury": ("knee", "shoulder", "hand", "wrist", "back")},
        ),
        Event(
            "record",
            "SPORTS",
            styles=(
                (
                    "{person} [broke|beat] the {sport} record of {country} in {place}, a mark that had stood "
                    "for {years}.",
                    "{person.last} breaks {sport} record in {place}",
                ),
                (
                    "In {place}, a {sport} record that had stood for {years} [fell|was lost] to {person} of {country}.",
                    "{sport} record falls to {person.last} in {place}",
                ),
                (
                    "{country} has a new {sport} record [after|since] {person} in {place} broke one that "
                    "stood for {years}.",
                    "{country} {sport} record broken after {years}",
                ),
            ),
            details=(
                "A crowd of {crowd} [cheered|watched] as {person.last} crossed the line.",
                "{person.last} had [trained|prepared] for {count} weeks in the mountains.",
            ),
            choices={"sport": ("marathon", "rowing", "cycling", "swimming", "skating", "high jump")},
        ),
    ),
    asides=(
        "Coach {other_person} of the {other_opponent} [watched|sat] in the stands.",
        "The {other_opponent} play their next game in {other_place}.",
        "Veteran {other_person} had left the field after {other_count} minutes.",
        "In another match, the {other_opponent} drew before {other_crowd} fans.",
        "Former champion {other_person} now lives in {other_country}.",
    ),
)
