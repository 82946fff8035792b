"""Events of the science section."""

from scripts.dataset.newswire.event import Event, Section

SECTION = Section(
    events=(
        Event(
            "species",
            "SCIENCE",
            styles=(
                (
                    "Researchers at {university} [found|discovered] a new {animal} species in {country}, led "
                    "by {person}.",
                    "{university} team finds new {animal} species in {country}",
                ),
                (
                    "A {animal} species new to science [lives|was found] in {country}, says {person} of {university}.",
                    "New {animal} species found in {country}",
                ),
                (
                    "Biologist {person} of {university} [described|named] a {animal} species [seen|caught] "
                    "in {country}.",
                    "{person.last} describes new {animal} species from {country}",
                ),
            ),
            details=(
                "Only {count} of the animals [were seen|were counted] in {years}.",
                "{person.last} [spent|worked] {years} in the forest to find it.",
            ),
            choices={"animal": ("frog", "beetle", "bat", "lizard", "toad", "spider", "crab")},
        ),
        Event(
            "planet",
            "SCIENCE",
            styles=(
                (
                    "Astronomers at {university} [spotted|detected] {count} {objects} with a telescope in {country}.",
                    "{university} astronomers spot {count} {objects}",
                ),
                (
                    "A telescope in {country} [showed|revealed] {count} {objects} to astronomers at {university}.",
                    "Telescope in {country} reveals {count} {objects}",
                ),
                (
                    "Some {count} {objects} were [found|seen] from {country} by astronomers at {university}.",
                    "{count} {objects} found by {university} astronomers",
                ),
            ),
            details=(
                "The search took {years}, [said|explained] {person}, who led it.",
                "{person}, who [planned|ran] the search, called it a lucky find.",
            ),
            choices={"objects": ("distant planets", "icy moons", "young stars", "dark comets", "small galaxies")},
        ),
        Event(
            "excavation",
            "SCIENCE",
            styles=(
                (
                    "Archaeologists led by {person} [unearthed|dug up] {find} under a {site} in {place}.",
                    "Archaeologists unearth {find} in {place}",
                ),
                (
                    "A {site} in {place} [hid|covered] {find}, archaeologist {person} has shown.",
                    "{place} {site} hid {find}",
                ),
                (
                    "{person}, an archaeologist, [came upon|discovered] {find} below a {site} in {place}.",
                    "{person.last} discovers {find} below {place} {site}",
                ),
            ),
            details=(
                "The find will be [shown|displayed] at {university}.",
                "{person.last} had [searched|dug] there for {years}.",
            ),
            choices={
                "find": ("a Bronze Age grave", "a Roman bath", "a royal tomb", "an ancient boat", "a hoard of coins"),
                "site": ("parking lot", "supermarket", "farm", "school", "railway yard"),
            },
        ),
    ),
    asides=(
        "A [study|report] by {other_person} in {other_country} came to another result.",
        "The work cost {other_money}, and {other_company} paid for part of it.",
        "Last year {other_person} listed {other_count} similar sites.",
        "[Separately|Meanwhile], a laboratory in {other_place} closed for repairs.",
        "Museum director {other_person} was not involved.",
    ),
)
