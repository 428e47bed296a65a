"""What platforms say when they do not hand out a video, as data: a pattern, its reason, true examples.

The sentences are the platforms' own, or yt-dlp's words for what they do, and they change. A row whose
meaning is not certain is `unknown`: asking again costs little, a wrong "gone for good" loses the video.
"""

from typing import NamedTuple

from valor_data.errors import Reason


class Sentence(NamedTuple):
    """One way to say no."""

    pattern: str
    reason: Reason
    examples: tuple[str, ...]


SENTENCES = (
    Sentence(
        r"rate[- ]limited|rate limit|content isn.t available, try again later|too many requests"
        r"|reached your play limit|(blocked|rejected) by server \(\d+\)",
        Reason.RATE_LIMITED,
        (
            "This content isn't available, try again later. The current session has been rate-limited by "
            "YouTube for up to an hour.",
            "Video unavailable. This content isn\u2019t available, try again later.",
            "You have exceeded the rate limit. Try again later",
            "You are rate-limited. Try again later.",
            "Request is blocked by server (412), please wait and try later.",
        ),
    ),
    Sentence(
        r"not a (ro)?bot|captcha|unusual traffic|anti-?bot|player responses are invalid|suspected as a bot"
        r"|requests automated|TLS fingerprint|your IP (address )?(is|may be)( likely being)? (block|unable)",
        Reason.BOT_CHECK,
        (
            "Sign in to confirm you\u2019re not a bot. Use --cookies-from-browser or --cookies for the "
            "authentication.",
            "Video unavailable. YouTube is requiring a captcha challenge before playback",
            "All player responses are invalid. Your IP is likely being blocked by Youtube",
            "Got HTTP Error 403 caused by Cloudflare anti-bot challenge; see the documentation",
            "Got HTTP Error 429. If you are using a data center IP or VPN/proxy, your IP may be blocked",
            "This request has been blocked due to its TLS fingerprint. Install a required impersonation "
            "dependency",
            "You are suspected as a bot. Wait, or pass the captcha on the site and provide cookies.",
            "Your IP address is blocked from accessing this post",
        ),
    ),
    Sentence(
        r"(confirm|verify) your age|age.?restricted|age.?(verification|check|gate)|age verified"
        r"|adult verification|inappropriate for some users|only users older than|\bNSFW\b",
        Reason.AGE_RESTRICTED,
        (
            "Sign in to confirm your age. This video may be inappropriate for some users.",
            "This video is age-restricted and only available on YouTube",
            "Login is required to access age-restricted content",
            "This video is only available for age verified users or after 22:00",
            "NSFW tweet requires authentication. Use --cookies",
        ),
    ),
    Sentence(
        r"members[- ]only|join this channel|this channel.s members|for (\w+ )?members\b"
        r"|requires? (a |an )?(\w+ )?(payment|subscription)|appropriate subscription|subscription needed"
        r"|subscribers|subscribe to (watch|download)|\bpremium\b|purchase|\brent(al|ed)?\b|pay for it|paid,"
        r"|not subscribed|TV providers|cable service provider|does not have access to (this|the requested)"
        r"|supporter-only|VIP accounts",
        Reason.MEMBERS_ONLY,
        (
            "Join this channel to get access to members-only content like this video, and other perks.",
            "This video is available to this channel's members on level: Supporter (or any higher level).",
            "This video requires payment to watch",
            "Video requires payment and log-in, but log-in is not implemented",
            "This video is only available to Music Premium members",
            "This video is only available for registered users with the appropriate subscription",
            "This channel is streaming for subscribers only",
            "This video is paid, subscribe to download it",
            "Your account does not have access to this content",
        ),
    ),
    Sentence(
        r"private (video|vod|playlist|subreddit)|(video|account|vod) is (likely either )?private"
        r"|has been set to private|password[- ]protected|protected by a pass(word|code)|protected tweet",
        Reason.PRIVATE,
        (
            "Private video. Sign in if you've been granted access to this video",
            "This video is private. If the owner of this video has granted you access, please sign in.",
            "Video unavailable. This video is private",
            "This video is protected by a password, use the --video-password option",
            "You are not authorized to view this protected tweet",
        ),
    ),
    Sentence(
        r"(in|for|from) (your|this) (current )?(country|region|location)|geo.?(restrict|block)"
        r"|on this country domain|available in \w+ only|only available in [a-z]+\.?$|licensed to users in"
        r"|blocked by decision of",
        Reason.GEO_BLOCKED,
        (
            "The uploader has not made this video available in your country",
            "Video unavailable. This video contains content from SME, who has blocked it in your country on "
            "copyright grounds",
            "This video is not available from your location due to geo restriction",
            "This content is not available on this country domain due to a legal complaint.",
            "This video is available in Taiwan only",
            "This song is blocked in this region",
        ),
    ),
    Sentence(
        r"account.*(terminated|closed|suspended|deactivated|been deleted)|closed their .*account"
        r"|channel .*(terminated|deleted)",
        Reason.TERMINATED,
        (
            "Video unavailable. This video is no longer available because the YouTube account associated "
            "with this video has been terminated.",
            "This video is no longer available because the YouTube account associated with this video has "
            "been terminated due to multiple third-party notifications of copyright infringement.",
            "This video is no longer available because the uploader has closed their YouTube account.",
            "Video unavailable. The YouTube account associated with this video has been closed.",
        ),
    ),
    Sentence(
        r"copyright|trademark claim|contains content from",
        Reason.COPYRIGHT,
        (
            "Video unavailable. This video is no longer available due to a copyright claim by WMG",
            "This video contains content from UMG, who has blocked it on copyright grounds",
            "This video is no longer available due to a trademark claim by a third party",
        ),
    ),
    Sentence(
        r"is upcoming|premieres in|premiere will begin|(event|stream) will (begin|start)"
        r"|not (yet )?started( yet)?\b|scheduled (for|to start)|not available yet|not yet available"
        r"|will be available after|(live ?)?stream is offline",
        Reason.UPCOMING,
        (
            "This live event will begin in 3 days.",
            "Premieres in 45 minutes",
            "Premiere will begin shortly",
            "This live event is scheduled for 2026-12-01 20:00 (UTC)",
            "This livestream has not yet started",
            "This video is not available yet. Release date: 2026-12-24",
            "This live stream is offline.",
        ),
    ),
    Sentence(
        r"live stream recording is not available|ended and (there is no archive|downloadable VOD)"
        r"|live was ended|replay is disabled",
        Reason.REMOVED,
        (
            "This live stream recording is not available.",
            "This event has ended and there is no archive for this event",
        ),
    ),
    Sentence(
        r"not (currently )?live\b|is live now|video is live|(is|being|or) process(ing|ed)"
        r"|processing this video|live (event|stream) has ended|not downloadable yet|archive will be",
        Reason.LIVE,
        (
            "The channel is not currently live",
            "We're processing this video. Check back later.",
            "This live event has ended.",  # its recording may yet come
            "This event has ended, and the archive will be available shortly",
            "This video is currently unavailable. It may still be uploading or processing.",
        ),
    ),
    Sentence(
        r"\bDRM\b|rights management",
        Reason.DRM,
        ("This video is DRM protected", "The requested site is known to use DRM protection."),
    ),
    Sentence(
        # Each was seen for videos that others could watch at the same time.
        r"(this|following) (video|content) (isn.t|is not) available( on this app.*)?\.?$"
        r"|playback on other websites",
        Reason.UNKNOWN,
        (
            "Video unavailable. This content isn\u2019t available.",
            "This video is not available",
            "Video unavailable. This video is not available",
            "The following content is not available on this app. Watch on the latest version of YouTube.",
        ),
    ),
    Sentence(
        r"does not exist|no longer exists|is not archived"
        r"|\b(video|clip|track|channel|episode|content|media|tweet)( id)? (was )?not found(;|:|\.|$)",
        Reason.NOT_FOUND,
        (
            "This video does not exist",
            "Content not found; it has most likely expired",
            "The requested video is not archived or indexed",
        ),
    ),
    Sentence(
        r"has been removed|removed by the (uploader|user)|no longer available|video (is )?unavailable"
        r"|isn.t available any ?more|tweet is unavailable|(was|been|is) deleted|may be deleted"
        r"|(stream|link|rights) (has |is )?expired",
        Reason.REMOVED,
        (
            "Video unavailable. This video has been removed by the uploader",
            "This video has been removed for violating YouTube's Terms of Service",
            "This video has been removed for violating YouTube's policy on hate speech.",
            "Video unavailable. This video isn't available anymore",
            "This video is no longer available due to a privacy claim by a third party",
            "Video unavailable",
            "This video is unavailable",
            "Video was deleted",
        ),
    ),
    Sentence(
        r"registered users|log ?in (is )?(required|to\b)|logged[- ]in|sign in"
        r"|requires? (authentication|log-?in)|account cookies|cookies \(not necessarily logged in\)"
        r"|account is needed|may need login|token (has|is) (already )?(been )?(expired|invalidated)",
        Reason.LOGIN_REQUIRED,
        (
            "This video is only available for registered users. Use --cookies, --username and --password",
            "Please sign in. Use --cookies-from-browser or --cookies for the authentication.",
            "You need to log in to access this content",
            "Fresh cookies (not necessarily logged in) are needed",
            "Your token has expired or is invalid.",
        ),
    ),
    Sentence(
        r"requested format is not available|formats are currently not supported",
        Reason.UNSUPPORTED_FORMAT,
        ("Requested format is not available. Use --list-formats for a list of available formats",),
    ),
    Sentence(
        r"is not a valid URL|invalid URL|file:// URLs|unsupported url|\bis an? (playlist|list of)"
        r"|looks truncated|embedding URL|website is (not|no longer) supported|blob URL|is not a video"
        r"|does(n.t| not) (contain|have) (a|any) videos?|no video (could be found )?in this",
        Reason.UNSUPPORTED_URL,
        (
            "'clip' is not a valid URL",
            "Unsupported URL: http://127.0.0.1:8000/page.html",
            "Incomplete YouTube ID N_708QY. URL https://www.youtube.com/watch?v=N_708QY looks truncated.",
            "Cannot download embed-only video without embedding URL. Please call yt-dlp with the URL of the "
            "page that embeds this video.",
            "This website is not supported and will not be supported.",
            "No video could be found in this tweet",
        ),
    ),
    Sentence(
        r"page needs to be reloaded|an error (has )?occurred|something went wrong|temporarily unavailable"
        r"|technical difficult|server-side",
        Reason.SERVER_ERROR,
        (
            "The page needs to be reloaded.",
            "An error occurred. Please try again later.",
            "There is an error on server-side. Try again later.",
            "We're experiencing technical difficulties",
        ),
    ),
    Sentence(
        r"timed? ?out",
        Reason.TIMEOUT,
        ("Unable to download webpage: The read operation timed out",),
    ),
    Sentence(
        r"network error|connection (was )?(refused|reset|aborted)|failed to (establish|resolve ')",
        Reason.TRANSPORT,
        ("A network error has occurred.", "Unable to connect: [Errno 111] Connection refused"),
    ),
)
"""Tried in order, without regard to case; the first that fits names the reason."""

MENDS = (
    (
        r"javascript|challenge solv|(signature|challenge) solving failed|\bEJS\b",
        "'valor-data doctor' tells what is wrong with the JavaScript runtime and yt-dlp-ejs",
    ),
    (
        r"cookies are no longer valid",
        "export the cookies anew into the file that access.cookies names",
    ),
    (
        r"PO Token",
        "set access.pot_provider or access.po_token_env, or drop access.player_clients",
    ),
    (
        r"impersonat",
        "pip install 'curl-cffi<0.18' lets yt-dlp ask as a browser does",
    ),
    (
        r"SABR|page needs to be reloaded|any player response|no video formats found|signature timestamp",
        "a newer yt-dlp may know how: pip install --upgrade yt-dlp yt-dlp-ejs",
    ),
)
"""What a person may do about causes that lie on our side: a pattern in yt-dlp's words, and the mend."""
