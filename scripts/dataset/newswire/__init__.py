"""Newswire: made-up news summaries with reference headlines, generated from a seed; no data file, no download.

About fifty types of event in twelve sections of a paper. A summary is a lead sentence, a detail about the same event,
and an aside about something else, whose names and figures don't belong in the headline. Names are drawn so that most
are rare and have to be copied; which of an event's headlines is written follows the subject of the lead, nine times in
ten.
"""
