"""Events of the education section."""

from scripts.dataset.newswire.event import Event, Section

SECTION = Section(
    events=(
        Event(
            "gift",
            "EDUCATION",
            styles=(
                (
                    "{person} [gave|donated] {money} to {university} for a {subject} school.",
                    "{person.last} gives {university} {money} for {subject} school",
                ),
                (
                    "{university} [received|got] {money} from {person} for a {subject} school.",
                    "{university} receives {money} for {subject} school",
                ),
                (
                    "A {subject} school will [open|rise] at {university} with {money} from {person}.",
                    "{subject} school to open at {university}",
                ),
            ),
            details=(
                "{person.last} had [studied|taught] there for {years}.",
                "The gift of {person.last} [pays|provides] for {count} teachers.",
            ),
            choices={"subject": ("law", "music", "nursing", "business", "robotics", "film")},
        ),
        Event(
            "strike",
            "EDUCATION",
            styles=(
                (
                    "Some {crowd} teachers in {place} [went on|began a] strike over {issue}, union leader "
                    "{person} said.",
                    "{crowd} teachers in {place} strike over {issue}",
                ),
                (
                    "{place} [closed|shut] its schools as {crowd} teachers struck over {issue}, union leader "
                    "{person} said.",
                    "{place} schools close as teachers strike over {issue}",
                ),
                (
                    "Union leader {person} [called|led] {crowd} teachers in {place} out on strike over {issue}.",
                    "{person.last} leads {place} teachers on strike",
                ),
            ),
            details=(
                "{person.last} [wants|demands] a raise of {percent}.",
                "Talks with {person.last} [broke down|ended] after {count} hours.",
            ),
            choices={"issue": ("pay", "class sizes", "pensions", "safety", "longer hours")},
        ),
        Event(
            "president",
            "EDUCATION",
            styles=(
                (
                    "{university} [named|chose] {person}, a {field} professor from {country}, as its president.",
                    "{university} names {person.last} as president",
                ),
                (
                    "{person}, a {field} professor from {country}, will [lead|run] {university}.",
                    "{field} professor {person.last} to lead {university}",
                ),
                (
                    "A {field} professor from {country}, {person}, was [picked|chosen] to head {university}.",
                    "{university} picks {field} professor from {country}",
                ),
            ),
            details=(
                "{person.last} [starts|takes over] in the fall for {soon}.",
                "The board [chose|picked] {person.last} from {count} candidates.",
            ),
            choices={"field": ("history", "physics", "medicine", "chemistry", "botany", "geology")},
        ),
        Event(
            "tuition",
            "EDUCATION",
            styles=(
                (
                    "{university} will [raise|increase] {fee} by {percent}, its president {person} said.",
                    "{university} to raise {fee} by {percent}",
                ),
                (
                    "Students at {university} [face|must pay] {percent} more in {fee}, president {person} said.",
                    "{university} students face {percent} rise in {fee}",
                ),
                (
                    "President {person} [defended|announced] a rise of {percent} in {fee} at {university}.",
                    "{person.last} defends {percent} rise in {fee}",
                ),
            ),
            details=(
                "{person.last} [wants|hopes] to close a gap of {money}.",
                "Some {crowd} students [signed|sent] a protest to {person.last}.",
            ),
            choices={"fee": ("tuition", "housing fees", "exam fees", "meal prices", "library fees")},
        ),
    ),
    asides=(
        "A college in {other_place} has {other_crowd} students.",
        "Parent {other_person} [heard|learned] of it in {other_country}.",
        "Last term {other_person} taught {other_count} classes.",
        "The sponsor {other_company} [gave|offered] {other_money} elsewhere.",
        "[Separately|Meanwhile], {other_person} retired in {other_place}.",
    ),
)
