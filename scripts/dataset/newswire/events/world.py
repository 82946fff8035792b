"""Events of the world section."""

from scripts.dataset.newswire.event import Event, Section

SECTION = Section(
    events=(
        Event(
            "treaty",
            "WORLD",
            styles=(
                (
                    "{country} and {partner} [signed|agreed on] a {matter} treaty in {place} after {years} of talks.",
                    "{country} and {partner} sign {matter} treaty",
                ),
                (
                    "A {matter} treaty between {country} and {partner} was [signed|sealed] in {place} after "
                    "{years} of talks.",
                    "{matter} treaty signed by {country} and {partner} in {place}",
                ),
                (
                    "After {years} of talks in {place}, {country} and {partner} [have|settled on] a {matter} treaty.",
                    "{country} and {partner} end {years} of {matter} talks",
                ),
            ),
            details=(
                "Envoy {person} [praised|hailed] the deal as fair.",
                "Envoy {person} had [led|guided] the last {count} meetings.",
            ),
            choices={"matter": ("border", "fishing", "water", "trade", "peace")},
        ),
        Event(
            "tariff",
            "WORLD",
            styles=(
                (
                    "{country} [put|imposed] a tariff of {percent} on {goods} from {partner}.",
                    "{country} imposes {percent} tariff on {partner} {goods}",
                ),
                (
                    "{partner} [protested|complained] after {country} put a tariff of {percent} on its {goods}.",
                    "{partner} protests {country} tariff on {goods}",
                ),
                (
                    "{goods} from {partner} [face|meet] a tariff of {percent} in {country}.",
                    "{goods} from {partner} face {percent} tariff in {country}",
                ),
            ),
            details=(
                "Minister {person} [said|expects] it affects trade worth {fortune}.",
                "Trade minister {person} [defended|explained] the step on Friday.",
            ),
            choices={"goods": ("carpets", "tractors", "cars", "shoes", "wines", "textiles")},
        ),
        Event(
            "aid",
            "WORLD",
            styles=(
                (
                    "{country} [promised|pledged] {fortune} in aid to {partner} after {disaster} "
                    "[near|around] {place}.",
                    "{country} pledges {fortune} in aid to {partner}",
                ),
                (
                    "{partner} will [get|receive] {fortune} from {country} after {disaster} [near|around] {place}.",
                    "{partner} to get {fortune} after {disaster}",
                ),
                (
                    "After {disaster} [near|around] {place}, {partner} [counts|relies] on {fortune} from {country}.",
                    "After {disaster}, {country} sends {partner} {fortune}",
                ),
            ),
            details=(
                "Relief worker {person} [said|reported] {crowd} people need shelter.",
                "The first {count} trucks [left|set off], said {person}.",
            ),
            choices={"disaster": ("an earthquake", "a landslide", "a wildfire", "a cyclone", "a volcano eruption")},
        ),
        Event(
            "hostages",
            "WORLD",
            styles=(
                (
                    "{country} [freed|released] {count} {captives} from {partner} after talks led by {person}.",
                    "{country} frees {count} {captives} from {partner}",
                ),
                (
                    "Talks led by {person} [won|brought] freedom for {count} {captives} from {partner} held "
                    "in {country}.",
                    "{person.last} talks free {count} {captives} in {country}",
                ),
                (
                    "Some {count} {captives} from {partner} [left|walked out of] prison in {country} after "
                    "talks led by {person}.",
                    "{count} {captives} from {partner} freed in {country}",
                ),
            ),
            details=(
                "They had [been held|spent] {years} behind bars, {person.last} said.",
                "{person.last} [met|greeted] them at the airport of {place}.",
            ),
            choices={"captives": ("sailors", "journalists", "soldiers", "engineers", "fishermen")},
        ),
    ),
    asides=(
        "[Separately|Meanwhile], {other_country} closed its embassy in {other_place}.",
        "A summit in {other_country} had failed {other_years} ago.",
        "The diplomat {other_person} [warned|spoke] of new tension.",
        "In {other_place}, {other_crowd} people [marched|gathered] for peace.",
        "Observers from {other_country} [counted|noted] {other_count} incidents.",
    ),
)
