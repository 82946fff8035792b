"""Events of the weather section."""

from scripts.dataset.newswire.event import Event, Section

SECTION = Section(
    events=(
        Event(
            "storm",
            "WEATHER",
            styles=(
                (
                    "Storm {product} [hit|struck] {place} with winds of {wind} and left {crowd} homes without power.",
                    "Storm {product} hits {place} with {wind} winds",
                ),
                (
                    "{place} [woke|looked on] as Storm {product} cut power to {crowd} homes with winds of {wind}.",
                    "{place} loses power as Storm {product} hits",
                ),
                (
                    "Some {crowd} homes [lost|were without] power as Storm {product} crossed {place} with "
                    "winds of {wind}.",
                    "{crowd} homes lose power in Storm {product}",
                ),
            ),
            details=(
                "Fire chief {person} [reported|counted] {count} rescues by boat.",
                "Repairs could [take|last] {count} days, engineer {person} said.",
            ),
        ),
        Event(
            "heat",
            "WEATHER",
            styles=(
                (
                    "{place} in {country} [recorded|measured] {degrees}, its hottest {month} day in {years}.",
                    "{place} records {degrees} in hottest {month} in {years}",
                ),
                (
                    "A reading of {degrees} in {place} [made|was] the hottest {month} day in {years} for {country}.",
                    "{degrees} in {place} sets {country} heat record",
                ),
                (
                    "{country} had its hottest {month} day in {years}, with {degrees} [measured|felt] in {place}.",
                    "{country} has hottest {month} day in {years}",
                ),
            ),
            details=(
                "Hospitals [treated|took in] {count} people for sunstroke.",
                "Forecaster {person} [expects|predicts] no relief this week.",
            ),
            choices={"month": ("May", "June", "July", "August", "September")},
        ),
        Event(
            "flood",
            "WEATHER",
            styles=(
                (
                    "Floods in {place} [drove|forced] {crowd} people from their homes after the {river} "
                    "[burst|broke] its banks.",
                    "Floods in {place} force {crowd} from homes",
                ),
                (
                    "The {river} [burst|broke] its banks in {place} and drove {crowd} people from their homes.",
                    "{river} bursts banks in {place}",
                ),
                (
                    "Some {crowd} people [fled|left] their homes in {place} as the {river} [rose|swelled].",
                    "{crowd} flee as {river} floods {place}",
                ),
            ),
            details=(
                "Mayor {person} [put|estimated] the damage at {money}.",
                "Soldiers under {person} [filled|carried] sandbags all night.",
            ),
            choices={"river": ("Alder River", "Mossy Creek", "Stone River", "Long Canal", "Blue River")},
        ),
        Event(
            "drought",
            "WEATHER",
            styles=(
                (
                    "Farmers in {place} [lost|gave up] {percent} of their {crop} to a drought, {person} of "
                    "the farm union said.",
                    "{place} farmers lose {percent} of {crop} to drought",
                ),
                (
                    "A drought [destroyed|ruined] {percent} of the {crop} around {place}, {person} of the "
                    "farm union said.",
                    "Drought destroys {percent} of {crop} around {place}",
                ),
                (
                    "{person} of the farm union [asked|called] for aid after drought took {percent} of the "
                    "{crop} in {place}.",
                    "{person.last} asks for aid as drought hits {place}",
                ),
            ),
            details=(
                "The loss comes to {money}, and {person.last} [fears|expects] more.",
                "No rain has [fallen|come] for {count} days, {person.last} added.",
            ),
            choices={"crop": ("wheat", "corn", "olives", "grapes", "apples", "rice")},
        ),
    ),
    asides=(
        "In {other_place}, {other_person} [measured|saw] only light rain.",
        "The last such event hit {other_country} {other_years} ago.",
        "Trains between {other_place} and the coast were late.",
        "Insurer {other_company} [expects|awaits] claims of {other_money}.",
        "Schools in {other_place} stayed open, teacher {other_person} said.",
    ),
)
